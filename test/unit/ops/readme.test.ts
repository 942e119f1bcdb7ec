import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../../infra/ops/cli.ts';
import { quietWorld } from './quiet-world.ts';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const program = buildProgram(quietWorld().world);

/** `a b|c d` stands for `a b d` and `a c d`. */
function spelledOut(line: string): readonly string[] {
  const choice = /(\S+)((?:\\?\|\S+)+)/.exec(line);
  if (choice === null) return [line];
  const words = choice[0].split(/\\?\|/);
  return words.map((word) => line.replace(choice[0], word));
}

/** Command lines that the README shows: those with npx in front, and the second column of "Operate it". */
function shown(): readonly string[] {
  const withNpx = [...readme.matchAll(/npx simhook ([^`\n]*)/g)].map(([, line = '']) => line);
  const table = /## Operate it[\s\S]*?(?=\n## )/.exec(readme)?.[0] ?? '';
  const inTable = [...table.matchAll(/^\|[^|]*\|(.*)\|$/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]*)`/g)].map(([, line = '']) => line))
    .filter((line) => /^[a-z]/.test(line) && line !== 'curl');
  return [...withNpx, ...inTable].flatMap(spelledOut);
}

/** What the command tree does not know of a line; empty when all of it is there. */
function unknownIn(line: string): readonly string[] {
  const words = line.replace(/\s[<|#].*$/, '').split(/\s+/);
  let command: Command = program;
  const path: Command[] = [program];
  const options = words.filter((word) => word.startsWith('--'));
  for (const word of words.filter((each) => !each.startsWith('-'))) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) {
      // Options may stand in front of the command; what follows a whole command are its arguments.
      if (command.commands.length === 0) break;
      if (command === program && words[0]?.startsWith('--')) continue;
      return [word];
    }
    command = next;
    path.push(next);
  }
  if (command.commands.length > 0) return [`${line} ends before a command`];
  const known = path.flatMap(({ options: own }) => own.map(({ long }) => long ?? ''));
  return options.filter((option) => option !== '--help' && !known.includes(option));
}

describe('the README', () => {
  const lines = shown().filter((line) => /^(--)?[a-z]/.test(line));

  it('shows command lines at all', () => {
    expect(lines.length).toBeGreaterThan(40);
    expect(unknownIn('actions --sate open')).toEqual(['--sate']);
    expect(unknownIn('acton show act_1')).toEqual(['acton']);
    expect(unknownIn('--stage production actions --state open')).toEqual([]);
  });

  it.each([...new Set(lines)])('is true: simhook %s', (line) => {
    expect(unknownIn(line)).toEqual([]);
  });

  it('names the stacks and outputs by their names', () => {
    for (const name of readme.match(/simhook-production[a-z-]*/g) ?? [])
      expect(['simhook-production', 'simhook-production-state']).toContain(name);
  });
});
