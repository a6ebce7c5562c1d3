/** Where a sandbox finds the proxy. */
export const RELAY_PORT = 3128;

/**
 * What runs inside of a sandbox that has a loopback interface and nothing else: takes the connections of the port and
 * leads them to the proxy's unix socket, while it runs a command in a shell, as which it then ends.
 */
const RELAY = `
const { connect, createServer } = require('node:net');
const { spawn } = require('node:child_process');
const [socket, port, command] = process.argv.slice(1);
const server = createServer((client) => {
  const proxy = connect(socket);
  client.on('error', () => proxy.destroy());
  proxy.on('error', () => client.destroy());
  client.pipe(proxy).pipe(client);
});
server.listen(Number(port), '127.0.0.1', () => {
  const child = spawn('/bin/sh', ['-c', command], { stdio: 'inherit' });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + require('node:os').constants.signals[signal]));
});
`;

/** Runs `command` in a shell behind a relay to the proxy that listens at `socket`. */
export function relayed(command: string, socket: string): string[] {
  return [process.execPath, '-e', RELAY, socket, String(RELAY_PORT), command];
}

/** Processes and threads of a relay. */
export const RELAY_PIDS = 16;
