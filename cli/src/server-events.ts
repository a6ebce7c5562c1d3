/** One event of a stream of server-sent events. */
export interface ServerEvent {
  event: string;
  data: string;
  id?: string;
}

/** Reads a stream of server-sent events (HTML Living Standard, 9.2.6). One that is cut off at the end is left out. */
export async function* readEvents(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerEvent, void, undefined> {
  let fields: [name: string, value: string][] = [];
  for await (const line of lines(stream)) {
    if (line !== '') {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      fields.push([name, value]);
      continue;
    }
    const event = toEvent(fields);
    fields = [];
    if (event !== undefined) yield event;
  }
}

/** Ends of lines are `\r\n`, `\n` or `\r`; what stands behind the last one is no line. */
async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const text = rest + decoder.decode(chunk, { stream: true });
    // A `\r` at the end may be half of a `\r\n`.
    const parts = text.split(/\r\n|\n|\r(?!$)/);
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest.endsWith('\r')) yield rest.slice(0, -1);
}

function toEvent(fields: readonly (readonly [string, string])[]): ServerEvent | undefined {
  const data = fields.filter(([name]) => name === 'data').map(([, value]) => value);
  if (data.length === 0) return undefined;
  const last = (name: string): string | undefined => fields.findLast((field) => field[0] === name)?.[1];
  const id = last('id');
  return { event: last('event') ?? 'message', data: data.join('\n'), ...(id !== undefined && { id }) };
}
