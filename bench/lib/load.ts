import { connect, type Socket } from 'node:net';
import { percentile } from './stats.js';

export interface LoadOptions {
  port: number;
  path: string;
  body: string;
  connections: number;
  /** For how long new requests are sent, in ms. */
  durationMs: number;
  /** Throws where an answer is not right. */
  check: (status: number, body: string) => void;
}

export interface LoadResult {
  requests: number;
  perSecond: number;
  /** Latencies in ms. */
  p50: number;
  p99: number;
}

const HEAD_END = '\r\n\r\n';

/**
 * Sends POST requests over so many kept-alive connections, one at a time on each, and checks every answer. It speaks
 * just enough HTTP/1.1 for the servers measured here, because it shares their processors: the less it takes, the more
 * the figures say of the server.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + options.durationMs;
  await Promise.all(Array.from({ length: options.connections }, () => client(options, end, latencies)));
  const seconds = (performance.now() - start) / 1000;
  return {
    requests: latencies.length,
    perSecond: latencies.length / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  };
}

async function client(options: LoadOptions, end: number, latencies: number[]): Promise<void> {
  const { path, body, check } = options;
  const head = `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n`;
  const request = `${head}Content-Length: ${Buffer.byteLength(body)}${HEAD_END}${body}`;
  const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
  try {
    await new Promise<void>((resolve, reject) => {
      let sentAt = 0;
      const send = (): void => {
        if (performance.now() >= end) return resolve();
        sentAt = performance.now();
        socket.write(request);
      };
      onAnswer(socket, (status, text) => {
        latencies.push(performance.now() - sentAt);
        try {
          check(status, text);
          send();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the server closed the connection')));
      socket.on('connect', send);
    });
  } finally {
    socket.removeAllListeners('close');
    socket.destroy();
  }
}

function onAnswer(socket: Socket, answered: (status: number, body: string) => void): void {
  let buffered = '';
  socket.setEncoding('latin1');
  socket.on('data', (piece: string) => {
    buffered += piece;
    const headEnd = buffered.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(buffered)?.[1] ?? 0);
    const bodyStart = headEnd + HEAD_END.length;
    if (buffered.length < bodyStart + length) return;
    const body = buffered.slice(bodyStart, bodyStart + length);
    const status = Number(buffered.slice(9, 12));
    buffered = buffered.slice(bodyStart + length);
    answered(status, body);
  });
}
