/** What an application's `onError` throws, or rejects with, ends nothing: the console is told it. */
export function guarded<Rest extends unknown[]>(
  onError: (error: unknown, ...rest: Rest) => void,
): (error: unknown, ...rest: Rest) => void {
  return (error, ...rest) => {
    try {
      const told: unknown = onError(error, ...rest);
      if (told instanceof Promise) told.catch((thrown) => console.error(thrown));
    } catch (thrown) {
      console.error(thrown);
    }
  };
}
