/** The bundle of the table below: `args.sh` prints each of its arguments in brackets. */
export const RUN_FILES = {
  'args.sh': `for word; do printf '[%s]' "$word"; done\n`,
  'marker.sh': '#!/bin/sh\necho the parameter was run\n',
};
/** The parameter of every call: a command that works. */
export const PARAMETER = 'sh ./marker.sh';
const LAST = `[${PARAMETER}]`;

/** Values of a runtime's `run`, and what a call prints. */
export const SIMPLE: Readonly<Record<string, string>> = {
  'sh args.sh': LAST,
  'sh args.sh\n': LAST,
  'sh args.sh\r\n': LAST,
  '\n\t sh args.sh \t\n\n': LAST,
  'exec sh args.sh': LAST,
  'command sh args.sh': LAST,
  'A=1 B="2 3" sh args.sh': LAST,
  '"sh" args.sh x': `[x]${LAST}`,
  "sh 'args.sh' '; x'": `[; x]${LAST}`,
  'sh args.s\\h a\\;b': `[a;b]${LAST}`,
  'sh "${PWD}/args.sh" $NOTHING "a$"': `[a$]${LAST}`,
  'sh args.sh 2>/dev/null': LAST,
  'sh args.sh 2>&1': LAST,
  '</dev/null sh args.sh': LAST,
  'sh args.sh a#b "# c" d=e': `[a#b][# c][d=e]${LAST}`,
  "sh args.sh 'several\nlines'": `[several\nlines]${LAST}`,
};

export const SCRIPTS: Readonly<Record<string, string>> = {
  'sh args.sh x;': '[x]',
  'sh args.sh x ;\n': '[x]',
  'sh args.sh "$1";': LAST,
  'sh args.sh "$1"': LAST,
  'sh args.sh "$@" x': `${LAST}[x]`,
  'true &': '',
  'sh args.sh x & wait': '[x]',
  'true |\n cat': '',
  'sh args.sh x | cat': '[x]',
  'true && sh args.sh x': '[x]',
  'false || sh args.sh x': '[x]',
  '(sh args.sh x)': '[x]',
  '( sh args.sh "$1" )': LAST,
  '{ sh args.sh x; }': '[x]',
  '! false': '',
  'if true; then sh args.sh x; fi': '[x]',
  'for word in a b; do sh args.sh $word; done': '[a][b]',
  'while read -r line; do sh args.sh "$line"; done': '[line of stdin]',
  'case $1 in sh*) sh args.sh x;; esac': '[x]',
  'f() { sh args.sh "$1"; }; f "$1"': LAST,
  'sh args.sh x # a comment': '[x]',
  '# a comment\nsh args.sh x': '[x]',
  '# a comment\nsh args.sh "$1"\n': LAST,
  'sh args.sh x\nsh args.sh y': '[x][y]',
  'sh args.sh x \\\n y': '[x][y]',
  'cat <<END\n$1\nEND': `${PARAMETER}\n`,
  'cat <<END\n$1\nEND\n': `${PARAMETER}\n`,
  "cat <<'END'\n$1\nEND\n": '$1\n',
  'sh args.sh $(echo x)': '[x]',
  'sh args.sh `echo x`': '[x]',
  'set -e; sh args.sh x': '[x]',
  'A=1': '',
  $NOTHING: '',
  exec: '',
};

/** A few of both. */
export const SAMPLE: Readonly<Record<string, string>> = Object.fromEntries(
  [SIMPLE, SCRIPTS].flatMap((table) => Object.entries(table).slice(0, 3)),
);
