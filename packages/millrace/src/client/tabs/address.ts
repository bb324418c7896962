/** The address without these parameters, and without what is only for the page. */
export function addressWithout(url: string, ...parameters: readonly string[]): string {
  const address = new URL(url);
  for (const name of parameters) address.searchParams.delete(name);
  address.hash = "";
  return address.href;
}
