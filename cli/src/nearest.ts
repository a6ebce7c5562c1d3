/** Most edits from what was meant to what was typed. */
const MOST_EDITS = 3;

/** Which of `choices` was probably meant by `word`: one that begins with it, or that a few edits make of it. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const typed = word.toLowerCase();
  const begun = choices.find((choice) => typed.length > 1 && choice.toLowerCase().startsWith(typed));
  if (begun !== undefined) return begun;
  const most = Math.min(MOST_EDITS, Math.floor(word.length / 2));
  const ranked = choices
    .map((choice) => ({ choice, edits: editsBetween(typed, choice.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const [best] = ranked;
  return best !== undefined && best.edits <= most ? best.choice : undefined;
}

/** What to say about a word that is none of `choices`: the nearest one, and all that there are. */
export function instead(word: string, choices: readonly string[]): string {
  const near = nearest(word, choices);
  return `${near === undefined ? '' : `did you mean ${near}? `}there are: ${choices.join(', ')}`;
}

/** Insertions, deletions and replacements of a character that make the one word of the other (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(b).entries()) {
      const [left = 0, above = 0, before = 0] = [next[j], row[j + 1], row[j]];
      next.push(Math.min(left + 1, above + 1, before + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
