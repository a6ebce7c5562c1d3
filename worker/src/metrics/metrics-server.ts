import { once } from 'node:events';
import { createServer } from 'node:http';
import { ConfigError } from '@panal/protocol';
import type { MetricSet } from '@panal/protocol/metrics';

/** Serves metrics over HTTP. */
export interface MetricsServer {
  /** Where, such as `http://127.0.0.1:9101/metrics`. */
  url: string;
  close(): Promise<void>;
}

/** A scraper asks for one page now and then; whoever holds a connection open for longer is cut off. */
const TIMEOUT_MS = 10_000;

/**
 * Answers `GET /metrics` at `address` (`HOST:PORT`; port 0 takes a free one), and nothing else.
 * @throws ConfigError when it cannot be listened at.
 */
export async function serveMetrics(
  address: string,
  metrics: Pick<MetricSet, 'text' | 'contentType'>,
): Promise<MetricsServer> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(address) ?? [];
  const server = createServer(
    { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS },
    (request, response) => {
      if (request.url !== '/metrics' || request.method !== 'GET') {
        response.writeHead(404, { 'Content-Type': 'text/plain' }).end('there is only GET /metrics\n');
        return;
      }
      metrics.text().then(
        (text) => response.writeHead(200, { 'Content-Type': metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    },
  );
  try {
    server.listen(Number(port), host.replace(/^\[|\]$/g, ''));
    await once(server, 'listening');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`FAAS_METRICS_ADDRESS ${address} cannot be listened at: ${why}`);
  }
  const bound = server.address();
  const taken = typeof bound === 'object' && bound !== null ? bound.port : Number(port);
  return {
    url: `http://${host}:${taken}/metrics`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
