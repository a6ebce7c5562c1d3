/**
 * JSON text that is sent exactly as it is. `JSON.stringify` changes numbers such as `1.0` and 2^53 + 1; functions get
 * the text of their parameters as it was sent.
 */
export class JsonText {
  readonly text: string;

  /** @throws SyntaxError if `text` is not JSON */
  constructor(text: string) {
    JSON.parse(text);
    this.text = text;
  }
}

/** The JSON text of a value; of an object, `JsonText` may also be the value of a member. */
export function textOf(value: unknown): string {
  if (value instanceof JsonText) return value.text;
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return JSON.stringify(value);
  }
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${textOf(member)}`).join(',')}}`;
}
