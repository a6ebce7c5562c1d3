/**
 * `idle-clients.mjs PORT COUNT`: opens so many connections and leaves them idle, every second one after a request. Says
 * how many are open once all are or were refused, and goes away when its stdin ends.
 */
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number);
const REQUEST = 'GET /healthz HTTP/1.1\r\nHost: idle\r\n\r\n';
/** Connections under way at once: fewer than wait to be accepted. */
const AT_ONCE = 100;

let begun = 0;
let open = 0;
let done = 0;

function next() {
  if (begun === count) return;
  const asks = begun++ % 2 === 0;
  const socket = connect({ port, host: '127.0.0.1' });
  let settled = false;
  const settle = (isOpen) => {
    if (settled) return;
    settled = true;
    open += isOpen ? 1 : 0;
    if (++done === count) console.log(`open: ${open}`);
    next();
  };
  socket.on('connect', () => {
    if (asks) socket.write(REQUEST);
    else settle(true);
  });
  socket.on('data', () => settle(true));
  socket.on('error', () => settle(false));
  socket.on('close', () => {
    if (settled) open--;
    settle(false);
  });
}

for (let started = 0; started < AT_ONCE; started++) next();
process.stdin.on('end', () => process.exit()).resume();
