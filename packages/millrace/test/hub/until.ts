/** Resolves once the condition holds; looks at every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 8000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`it did not come true: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
