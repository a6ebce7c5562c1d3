import type { Command } from 'commander';
import type { Session } from './session.js';

/** Makes what commander calls for a verb: `verb` with a session, whose exit code counts; none is 0. */
export type Act = <A extends unknown[]>(
  verb: (session: Session, ...given: A) => Promise<number | undefined>,
) => (...given: A) => Promise<void>;

/** Adds verbs to the program. */
export type AddVerbs = (program: Command, act: Act) => void;
