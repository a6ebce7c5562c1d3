import { connect, type Socket } from 'node:net';

/** A silent server has this long for an answer, in ms; then the client says that nothing more comes. */
const PATIENCE_MS = 25;
/** After that the connection must be over within this time. */
const END_MS = 10_000;

export interface Answer {
  status: number;
  type: string;
  body: string;
}

/** What came of one connection. */
export interface Exchange {
  answers: Answer[];
  /** Whether the last answer was cut off. */
  cut: boolean;
}

/**
 * Sends these bytes, whatever they are, over a connection of their own.
 * @throws Error when the server does not end the connection after the client has
 */
export async function exchange(port: number, bytes: Uint8Array): Promise<Exchange> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const isHead = Buffer.from(bytes.subarray(0, 5)).toString('latin1') === 'HEAD ';
  return readAnswers(await conversation(socket, bytes), isHead);
}

async function conversation(socket: Socket, bytes: Uint8Array): Promise<string> {
  let text = '';
  return await new Promise((resolve, reject) => {
    const patience = setTimeout(() => socket.end(), PATIENCE_MS);
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error('the connection was not ended'));
    }, END_MS);
    socket.setEncoding('latin1');
    socket.on('data', (piece: string) => {
      text += piece;
      if (isWhole(text)) socket.end();
      else patience.refresh();
    });
    // A server may end the connection while it is still sent to.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(patience);
      clearTimeout(deadline);
      resolve(text);
    });
    socket.write(bytes);
  });
}

/** Whether an answer with a length is there in full. */
function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  return head >= 0 && length !== undefined && text.length >= head + 4 + Number(length);
}

function readAnswers(text: string, isHead: boolean): Exchange {
  const answers: Answer[] = [];
  for (let rest = text; rest !== '';) {
    const [head, line] = /^HTTP\/1\.1 (\d{3}) [^]*?\r\n\r\n/.exec(rest) ?? [];
    if (head === undefined) return { answers, cut: true };
    const status = Number(line);
    const type = /\r\ncontent-type: ([^\r]*)/i.exec(head)?.[1] ?? '';
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const bodyless = isHead || status < 200 || status === 204 || status === 304;
    // A stream, or a body in chunks, goes to the end: nothing here looks into them.
    const chunked = /\r\ntransfer-encoding: chunked/i.test(head);
    const size = bodyless ? 0 : chunked ? rest.length - head.length : length;
    const body = rest.slice(head.length, head.length + size);
    answers.push({ status, type, body });
    if (body.length < size) return { answers, cut: true };
    rest = rest.slice(head.length + size);
  }
  return { answers, cut: false };
}

/** A request as a well-behaved client sends it. */
export function request(
  method: string,
  path: string,
  body: string | Uint8Array = '',
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: panal'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  const bytes = Buffer.from(body);
  if (bytes.byteLength > 0) lines.push(`Content-Length: ${bytes.byteLength}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]);
}
