/** Groups of an IPv6 address that name a network; the other half one host may choose from as it likes. */
const NETWORK_GROUPS = 4;

/** Whom an address stands for: an IPv4 address itself, of an IPv6 address its /64. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return all
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
