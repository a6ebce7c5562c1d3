import { all } from '../cluster.js';
import { ago } from '../output.js';
import type { AddVerbs } from '../verbs.js';
import type { Session } from '../session.js';

export const addClusterVerbs: AddVerbs = (program, act) => {
  program
    .command('runtimes')
    .description('list the runtimes that functions can use')
    .addHelpText('after', '\nExample:\n  $ panal runtimes')
    .action(act(listRuntimes));
  program
    .command('workers')
    .description('list the connected workers')
    .addHelpText('after', '\nExample:\n  $ panal workers')
    .action(act(listWorkers));
};

async function listRuntimes({ client, output }: Session): Promise<undefined> {
  const names = await all(client.runtimes.names());
  const runtimes = await Promise.all(names.map((name) => client.runtimes.get(name)));
  output.show(runtimes, () =>
    output.table(
      ['NAME', 'IMAGE', 'RUNS', 'HANDLERS', 'OWNER'],
      runtimes.map(({ name, image, run, handler, bundled }) => [
        name,
        image,
        run,
        handler === undefined ? 'no' : 'yes',
        bundled ? 'bundled' : 'you',
      ]),
    ),
  );
}

async function listWorkers({ client, output }: Session): Promise<undefined> {
  const workers = await client.workers();
  if (workers.length === 0) output.note('no worker is connected');
  output.show(workers, () =>
    output.table(
      ['WORKER', 'HOST', 'STATE', 'SANDBOX', 'PATH', '>BUSY', '>SLOTS', 'HEARD OF'],
      workers.map(({ id, host, state, sandbox, path, slots, lastHeartbeat, miniWorkers }) => [
        id,
        host,
        state,
        sandbox,
        path,
        String(miniWorkers.filter((each) => each.state === 'busy').length),
        String(slots),
        ago(lastHeartbeat),
      ]),
    ),
  );
}
