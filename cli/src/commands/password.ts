import { bytesOf } from '../arguments.js';
import { clusterUrl, openCluster } from '../cluster.js';
import { misuse } from '../failure.js';
import type { AddVerbs } from '../verbs.js';
import { ask } from '../prompt.js';
import type { Session } from '../session.js';

interface PasswordOptions {
  passwordStdin?: boolean;
}

export const addPasswordVerbs: AddVerbs = (program, act) => {
  program
    .command('passwd')
    .description('change your password; every token of yours is revoked')
    .option('--password-stdin', 'read the present and the new password from stdin, a line each')
    .addHelpText('after', '\nExample:\n  $ panal passwd')
    .action(act(changePassword));
  program
    .command('revoke-tokens')
    .description('revoke every token of yours, so that each login with one ends')
    .addHelpText('after', '\nExample:\n  $ panal revoke-tokens')
    .action(act(revokeTokens));
};

async function changePassword(session: Session, options: PasswordOptions): Promise<undefined> {
  const { client, output } = session;
  const { email } = await client.users.me();
  const { password, newPassword } = await askPasswords(session, options);
  await client.users.changePassword(password, newPassword);
  await renewLogin(session, email, newPassword);
  output.show({ user: email, changed: true }, () => `changed the password of ${email}`);
}

async function askPasswords(
  { shell }: Session,
  { passwordStdin = false }: PasswordOptions,
): Promise<{ password: string; newPassword: string }> {
  if (passwordStdin) {
    const [password = '', newPassword = '', ...rest] = (await bytesOf('-', shell.stdin))
      .toString()
      .replace(/\r?\n$/, '')
      .split(/\r?\n/);
    if (newPassword !== '' && rest.length === 0) return { password, newPassword };
    throw misuse('stdin must have two lines', 'the present password, and the new one');
  }
  if (shell.stdin.isTTY !== true)
    throw misuse('the passwords are missing', 'give them with --password-stdin');
  const password = await ask(shell, 'Present password: ', { secret: true });
  const newPassword = await ask(shell, 'New password: ', { secret: true });
  const again = await ask(shell, 'The new password again: ', { secret: true });
  if (again !== newPassword) throw misuse('the new passwords are not the same');
  return { password, newPassword };
}

/** Replaces the token of the login, which is revoked, where the login is the user's. */
async function renewLogin({ configFile, url }: Session, email: string, password: string): Promise<void> {
  const login = configFile.read();
  if (login?.user !== email || clusterUrl(login.url) !== clusterUrl(url)) return;
  const { token, expiresAt } = await openCluster({ url }).users.issueToken(email, password);
  await configFile.write({ ...login, token, expiresAt });
}

async function revokeTokens({ client, configFile, output, url }: Session): Promise<undefined> {
  const { email } = await client.users.me();
  await client.users.revokeTokens();
  const login = configFile.read();
  if (login?.user === email && clusterUrl(login.url) === clusterUrl(url)) await configFile.remove();
  output.show(
    { user: email, revoked: true },
    () => `revoked every token of ${email}; log in again with: panal login`,
  );
}
