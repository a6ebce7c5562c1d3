/** Of the machines in an ELF header: AArch64, and x86-64. */
const AARCH64 = 0xb7;
const X86_64 = 0x3e;

/** A program for a processor that this machine does not have: an ELF header, which is all that a kernel looks at. */
export function foreignProgram(): Buffer {
  const header = Buffer.alloc(224);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(2, 0x10);
  header.writeUInt16LE(process.arch === 'arm64' ? X86_64 : AARCH64, 0x12);
  header.writeUInt32LE(1, 0x14);
  return header;
}
