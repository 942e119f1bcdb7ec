import type { Command } from 'commander';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** One command of the tree: the words that lead to it, and those that may follow. */
interface Place {
  readonly path: string;
  readonly words: readonly string[];
}

function placesOf(command: Command, path: readonly string[], inherited: readonly string[]): readonly Place[] {
  const options = [...inherited, ...command.options.flatMap(({ long }) => long ?? [])];
  const words = [...command.commands.map((child) => child.name()), ...options, '--help'];
  return [
    { path: path.join(' '), words: [...new Set(words)].toSorted() },
    ...command.commands.flatMap((child) => placesOf(child, [...path, child.name()], options)),
  ];
}

/** A script that completes commands and options of `simhook` in a shell. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, [], []);
  switch (shell) {
    case 'bash':
      return bash(places);
    case 'zsh':
      return `#compdef simhook\nautoload -U +X bashcompinit && bashcompinit\n${bash(places)}`;
    case 'fish':
      return fish(places);
    default: {
      const never: never = shell;
      throw new Error(`unknown shell: ${String(never)}`);
    }
  }
}

/** The longest command that the words so far lead to decides what may follow. */
function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`);
  return `_simhook() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' words='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$path\${path:+ }$word" in
${places
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      '${path}') path='${path}' ;;`)
  .join('\n')}
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _simhook simhook
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words }) => {
    const condition =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ');
    return words.map((word) =>
      word.startsWith('--')
        ? `complete -c simhook -n '${condition}' -l ${word.slice(2)}`
        : `complete -c simhook -f -n '${condition}' -a ${word}`,
    );
  });
  return `${lines.join('\n')}\n`;
}
