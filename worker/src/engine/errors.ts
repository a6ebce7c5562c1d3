import { PlatformError } from '../errors.js';

/** The HTTP status with which the engine refused a request; `undefined` where it did not answer. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/** What went wrong, in one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
}

/** Characters of a message that are searched for a fault; it may be a function's output. */
const SEARCHED = 8192;

/** What engines and OCI runtimes say where an image, or what a function asks of it, keeps a container from starting. */
const FAULTS = [
  // The agent, which is Panal's, may be kept from starting by the machine.
  /\bexec: "(?!\/\.panal\/).*?": /,
  /exec format error/i,
  /executable file (?:\S+ )?not found/,
  /unable to find (?:user|group)/,
  /uids and gids must be in range/,
  /not a directory/,
  /chdir to cwd/,
  /error (?:mounting|reopening) "?(?:tmpfs|\/dev)/,
  /error during container init: open \/proc/,
  /invalid mount config for type "tmpfs"/,
];
/** Words around the reason: of the client, of the engine, and of its OCI runtime. */
const AROUND = [
  /^\(HTTP code \d+\) [\w ]+ - /,
  /^.*unable to start container process: /,
  /^.*starting container process caused: /,
  /^error during container init: /,
  /: unknown(?:: .*)?$/,
];

/** Why a container cannot start, if its image or the function is at fault; `undefined`: the platform may be. */
export function faultIn(error: unknown): string | undefined {
  const message = messageOf(error).slice(0, SEARCHED);
  if (!FAULTS.some((fault) => fault.test(message))) return undefined;
  const reason = AROUND.reduce((text, words) => text.replace(words, ''), message);
  return reason.replace(/^exec: "(.*?)": (?:stat \S+: )?/, '$1: ');
}

/** Whether what a request was about is not there (404), or is being removed already (409). */
export const isGone = (error: unknown): boolean => statusOf(error) === 404 || statusOf(error) === 409;

/** The engine did not do what it was asked. */
export function engineFailure(what: string, cause: unknown): PlatformError {
  return new PlatformError('SANDBOX_FAILED', `${what}: ${messageOf(cause)}`, { cause });
}
