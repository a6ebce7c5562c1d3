import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Path of the agent, or undefined where it was not built (no compiler) or is switched off: calls then take the slower
 * path. `mode` is the setting `FAAS_AGENT`.
 */
export function agentPath(mode: 'auto' | 'off' = 'auto'): string | undefined {
  if (mode === 'off') return undefined;
  const path = fileURLToPath(new URL('../../../runtimes/agent/build/agent', import.meta.url));
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined;
  }
}
