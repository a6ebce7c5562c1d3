import { Dealer } from 'zeromq';
import type { Shot } from './target.js';

/** After this a question is asked again, and after so many times nobody answers. */
const ANSWER_MS = 500;
const MOST_ASKED = 30;

/** An end of a channel that says whatever it is told to, and keeps what it hears. */
export class ZmqPeer {
  readonly #dealer: Dealer;
  readonly #listening: Promise<void>;
  #questions = 0;
  #onHeard: (text: string) => void = () => undefined;

  constructor(address: string) {
    this.#dealer = new Dealer({ linger: 0, reconnectInterval: 10 });
    this.#dealer.connect(address);
    this.#listening = this.#listen();
  }

  async say(frames: Shot): Promise<void> {
    await this.#dealer.send(frames.map((frame) => Buffer.from(frame)));
  }

  /**
   * Says something that is answered, and waits for the answer: what was said before is dealt with by then.
   * @param question from a number that is another each time; the answer must have this number in it
   */
  async ask(question: (number: number) => string): Promise<void> {
    const number = 1_000_000 + ++this.#questions;
    const answered = new Promise<true>((resolve) => {
      this.#onHeard = (text) => {
        if (text.includes(String(number))) resolve(true);
      };
    });
    // What was said just before may have cost the connection, and the question with it.
    for (let asked = 0; asked < MOST_ASKED; asked++) {
      await this.say([Buffer.from(question(number)), Buffer.alloc(0)]);
      if (await within(ANSWER_MS, answered)) return;
    }
    throw new Error('a question was not answered');
  }

  async close(): Promise<void> {
    this.#dealer.close();
    await this.#listening;
  }

  async #listen(): Promise<void> {
    for await (const [head] of this.#dealer) this.#onHeard(head?.toString() ?? '');
  }
}

/** Whether it happens within so many ms. */
async function within(ms: number, happens: Promise<true>): Promise<boolean> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<false>((resolve) => (late = setTimeout(() => resolve(false), ms)));
  const result = await Promise.race([happens, tooLate]);
  clearTimeout(late);
  return result;
}
