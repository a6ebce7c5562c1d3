import type { Target } from '../target.js';
import { agent } from './agent.js';
import { archives } from './archives.js';
import { bundleChannel, dispatchChannel } from './broker-channels.js';
import { http } from './http.js';
import { handlerLoops } from './loops.js';
import { replyChannel } from './reply-channel.js';
import { sandboxChannel } from './sandbox-channel.js';
import { uploads } from './uploads.js';
import { wire } from './wire.js';
import { workerLink } from './worker-link.js';

/** Everything that takes input from outside. */
export const TARGETS: readonly Target[] = [
  http,
  uploads,
  archives,
  wire,
  dispatchChannel,
  replyChannel,
  bundleChannel,
  workerLink,
  sandboxChannel,
  agent,
  ...handlerLoops,
];
