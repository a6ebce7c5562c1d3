import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { withCompiler } from '../support/groups.js';
import { freePorts } from '../../testkit/ports.js';
import { builtAgent } from './rig.js';

/** What comes until the other side ends its half; unlike the consumers of streams, leaves the own half open. */
async function buffer(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'end');
  return Buffer.concat(pieces);
}

const text = async (socket: Socket): Promise<string> => (await buffer(socket)).toString();

withCompiler('the relay of the agent', () => {
  const folder = temporaryFolder();
  let agent = '';
  let path: string;
  let port: number;
  let server: Server;
  let serve: (client: Socket) => void;

  before(() => {
    agent = builtAgent();
  });
  beforeEach(async () => {
    path = join(folder(), 'socket');
    port = await freePorts();
    server = createServer({ allowHalfOpen: true }, (client) => serve(client)).listen(path);
    await once(server, 'listening');
  });
  afterEach(() => server.close());

  /** Runs a command behind the relay for as long as `use` takes; ends with its exit code. */
  async function relaying(command: string, use: () => Promise<void>): Promise<number | null> {
    const child = spawn(agent, ['relay', path, String(port), '/bin/sh', '-c', `echo up; ${command}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    try {
      await once(child.stdout, 'data');
      await use();
    } finally {
      child.stdin.end();
    }
    const [code] = (await exited) as [number | null];
    return code;
  }

  const client = (): Socket => connect({ port, host: '127.0.0.1', allowHalfOpen: true });

  it('passes bytes both ways, and the end of one way while the other goes on', async () => {
    const sent = randomBytes(3_000_000);
    serve = (socket) =>
      void buffer(socket).then((received) => {
        socket.write(received);
        socket.end('after the end');
      });
    await relaying('cat', async () => {
      const socket = client();
      socket.end(sent);
      const received = await buffer(socket);
      expect(received.equals(Buffer.concat([sent, Buffer.from('after the end')]))).to.equal(true);
    });
  });

  it('passes the end of the answer while the question goes on', async () => {
    const question = new Promise<string>((resolve) => {
      serve = (socket) => {
        socket.end('answer');
        void text(socket).then(resolve);
      };
    });
    await relaying('cat', async () => {
      const socket = client();
      expect(await text(socket)).to.equal('answer');
      socket.end('question');
      expect(await question).to.equal('question');
    });
  });

  it('serves many at once, and those that come after them', async () => {
    serve = (socket) => void socket.pipe(socket);
    await relaying('cat', async () => {
      for (let round = 0; round < 3; round++) {
        const sockets = Array.from({ length: 200 }, client);
        sockets.forEach((socket, n) => socket.end(`client ${n}`));
        const answers = await Promise.all(sockets.map((socket) => text(socket)));
        expect(answers).to.deep.equal(sockets.map((_, n) => `client ${n}`));
      }
    });
  });

  it('lets the rest go on when one end breaks', async () => {
    serve = (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (piece) => {
        if (String(piece) === 'break') socket.destroy();
        else socket.end(piece);
      });
    };
    await relaying('cat', async () => {
      const broken = client();
      broken.write('break');
      expect(await text(broken)).to.equal('');
      broken.destroy();
      const gone = client();
      await once(gone, 'connect');
      gone.resetAndDestroy();
      const other = client();
      other.write('whole');
      expect(await text(other)).to.equal('whole');
    });
  });

  it('ends as its command does', async () => {
    const none = (): Promise<void> => Promise.resolve();
    expect(await relaying('exit 7', none)).to.equal(7);
    expect(await relaying('kill -KILL $$', none)).to.equal(137);
    expect(await relaying('sleep 0.01 & exit 0', none)).to.equal(0);
  });
});
