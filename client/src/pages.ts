/** The query of the next page, as a `Link` header has it (RFC 8288); `undefined` on the last page. */
export function nextQuery(headers: Headers): Record<string, string> | undefined {
  const [, link] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(headers.get('Link') ?? '') ?? [];
  if (link === undefined) return undefined;
  return Object.fromEntries(new URL(link, 'http://localhost').searchParams);
}

/** Gives every entry of a list in pages; the next page is asked for when it is needed. */
export async function* entriesOf<T>(
  read: (query: Record<string, string>) => Promise<{ entries: T[]; headers: Headers }>,
): AsyncGenerator<T, void, undefined> {
  for (let query: Record<string, string> | undefined = {}; query !== undefined;) {
    const page: { entries: T[]; headers: Headers } = await read(query);
    yield* page.entries;
    query = nextQuery(page.headers);
  }
}
