import type { Machine } from './launcher.js';

/** What an operator should know of a machine. `limited`: by control groups; `claimed`: user numbers, among its workers. */
export function warningsOf(
  machine: Machine,
  { limited, claimed }: { limited: boolean; claimed: boolean },
): string[] {
  const warnings: string[] = [];
  if (!machine.bubblewrap) {
    warnings.push(
      'bubblewrap (bwrap) is not installed or does not work here: functions and their dependencies run as plain ' +
        'processes, can read and write what this worker can, and reach the network, whatever FAAS_DEPS_NETWORK says. ' +
        'Run only functions that you trust, or install bubblewrap.',
    );
  }
  if (machine.bubblewrap && machine.seccomp === undefined) {
    warnings.push(
      'system calls cannot be filtered here: functions may make those that container engines refuse.',
    );
  }
  if (machine.bubblewrap && !machine.users && process.getuid?.() === 0) {
    warnings.push(
      'functions run as root without capabilities, not as users of their own: that takes setpriv, user namespaces for ' +
        'unprivileged users, and interpreters that every user can read.',
    );
  }
  if (machine.users && !claimed) {
    warnings.push(
      '/run/panal/uids cannot be written: give each worker of this machine a range of its own (FAAS_UIDS), or functions ' +
        'of two owners may run as one user.',
    );
  }
  if (!limited) {
    warnings.push(
      machine.prlimit
        ? 'control groups cannot be made here: memory is limited for each process alone, pids and cpus are not.'
        : 'neither control groups nor prlimit can be used here: memory, pids and cpus are not limited.',
    );
  }
  return warnings;
}
