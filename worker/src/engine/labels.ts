/** Labels on every container, image and network that a worker makes; by them a worker knows its own again. */
export const LABEL = {
  /** Id of the worker that made the container. */
  worker: 'panal.worker',
  /**
   * Of containers `sandbox`, or `build` for one in which a function's image is made; of images `function` or `runtime`; of
   * the functions' network `network`.
   */
  kind: 'panal.kind',
  /** Id of the function version. */
  function: 'panal.function',
  owner: 'panal.owner',
  /** On a bundled runtime's image: SHA-256 of the folder it was built from. */
  context: 'panal.context',
  /** On a function's image: bytes that it adds to the image of its runtime. */
  bytes: 'panal.bytes',
} as const;

/** The engine's filter for the containers of one worker. */
export const ofWorker = (workerId: string): { label: string[] } => ({
  label: [`${LABEL.worker}=${workerId}`],
});
