import type { Context } from './context.js';

/** Points to the next page of a list (RFC 8288). */
export function nextPage(ctx: Context, query: Readonly<Record<string, string | number | undefined>>): void {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) next.set(name, String(value));
  }
  ctx.set('Link', `<${ctx.path}?${next.toString()}>; rel="next"`);
}
