import { MAX_PAGE, type namesQuery } from '@panal/api';
import type { NameQuery } from '@panal/db';
import type { z } from 'zod';
import type { Context } from './context.js';
import { nextPage } from './link.js';

/** Answers with a page of the names that `list` gives. */
export async function answerNames(
  ctx: Context,
  { limit = MAX_PAGE, after }: z.infer<typeof namesQuery>,
  list: (query: NameQuery) => Promise<string[]>,
): Promise<void> {
  // One more, to know whether there is another page.
  const query = { owner: ctx.state.owner, limit: limit + 1, ...(after !== undefined && { after }) };
  const names = await list(query);
  ctx.body = names.slice(0, limit);
  const last = names[limit - 1];
  if (names.length > limit && last !== undefined) nextPage(ctx, { limit, after: last });
}
