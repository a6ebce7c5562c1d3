/** Greeting of ZMTP 3 (ZeroMQ RFC 23), in bytes. */
const GREETING = 64;
const MORE = 1;
const LONG = 2;
const COMMAND = 4;

/** The messages in what one side of a ZeroMQ connection wrote, each as its frames; what is cut off at the end is left out. */
export function messagesIn(stream: Buffer): Buffer[][] {
  const messages: Buffer[][] = [];
  let frames: Buffer[] = [];
  for (let at = GREETING; at < stream.byteLength;) {
    const flags = stream.readUInt8(at);
    const head = (flags & LONG) === 0 ? 2 : 9;
    if (at + head > stream.byteLength) break;
    const size = head === 2 ? stream.readUInt8(at + 1) : Number(stream.readBigUInt64BE(at + 1));
    const end = at + head + size;
    if (end > stream.byteLength) break;
    if ((flags & COMMAND) === 0) {
      frames.push(stream.subarray(at + head, end));
      if ((flags & MORE) === 0) {
        messages.push(frames);
        frames = [];
      }
    }
    at = end;
  }
  return messages;
}
