import { ApiError, type Panal } from '@panal/client';
import { bytesOf } from '../arguments.js';
import { openCluster } from '../cluster.js';
import { Failure, misuse } from '../failure.js';
import type { AddVerbs } from '../verbs.js';
import { ask } from '../prompt.js';
import type { Session } from '../session.js';

interface LoginOptions {
  passwordStdin?: boolean;
  register?: boolean;
}

export const addAccountVerbs: AddVerbs = (program, act) => {
  program
    .command('login')
    .description('log in to a cluster, for all that follows')
    .argument('[url]', 'the cluster; by default as --url says')
    .option('--password-stdin', 'read the password from stdin')
    .option('--register', 'make the user if there is none of this name')
    .addHelpText(
      'after',
      '\nExample:\n  $ panal login http://127.0.0.1:3000 --user ana@example.org --register',
    )
    .action(act(logIn));
  program
    .command('logout')
    .description('forget the login')
    .addHelpText('after', '\nExample:\n  $ panal logout')
    .action(act(logOut));
  program
    .command('whoami')
    .description('show on whose behalf the cluster is asked')
    .addHelpText('after', '\nExample:\n  $ panal whoami')
    .action(act(whoAmI));
};

async function logIn(session: Session, url: string | undefined, options: LoginOptions): Promise<undefined> {
  const client = openCluster({ url: url ?? session.url });
  const { email, password } = await askCredentials(session, options);
  if (options.register === true) await register(client, email, password);
  const { token, expiresAt } = await client.users.issueToken(email, password).catch((error: unknown) => {
    throw explained(error);
  });
  await session.configFile.write({ url: client.url, user: email, token, expiresAt });
  const shown = { user: email, url: client.url, expiresAt };
  session.output.show(shown, () => `logged in to ${client.url} as ${email}`);
}

async function askCredentials(
  { shell, options }: Session,
  { passwordStdin = false }: LoginOptions,
): Promise<{ email: string; password: string }> {
  const interactive = shell.stdin.isTTY === true && !passwordStdin;
  const missing = (what: string, option: string): never => {
    throw misuse(`${what} is missing`, `give it with ${option}`);
  };
  const email = options.user ?? (interactive ? await ask(shell, 'E-mail: ') : missing('the user', '--user'));
  if (passwordStdin) {
    if (options.password !== undefined) throw misuse('give --password or --password-stdin, not both');
    // As `echo` and `docker login` have it, the newline at the end is not part of it.
    return { email, password: (await bytesOf('-', shell.stdin)).toString().replace(/\r?\n$/, '') };
  }
  const type = async (): Promise<string> => await ask(shell, 'Password: ', { secret: true });
  const password =
    options.password ?? (interactive ? await type() : missing('the password', '--password-stdin'));
  return { email, password };
}

/** Makes the user; one that is there already will do, if its password is this one. */
async function register(client: Panal, email: string, password: string): Promise<void> {
  try {
    await client.users.register(email, password);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'ALREADY_EXISTS')) throw error;
  }
}

/** "Log in first" is no help to who is doing just that. */
function explained(error: unknown): unknown {
  if (!(error instanceof ApiError && error.code === 'UNAUTHORIZED')) return error;
  const hint = 'if there is no such user yet, --register makes it';
  return new Failure(error.message, { code: error.code, hint, cause: error });
}

async function logOut({ configFile, output }: Session): Promise<undefined> {
  await configFile.remove();
  output.show({ user: 'public' }, () => 'logged out');
}

async function whoAmI({ client, hasCredentials, output }: Session): Promise<undefined> {
  if (!hasCredentials) {
    output.show({ user: 'public', url: client.url }, () => 'public');
    return;
  }
  const { email, ...rest } = await client.users.me();
  output.show({ user: email, url: client.url, ...rest }, () => email);
}
