/** What a user has beyond what the store removes with it. */
export interface Estate {
  /** Stops and removes it all; nothing is done on the owner's behalf any more. */
  remove(owner: string): Promise<void>;
}
