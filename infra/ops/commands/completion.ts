import { Argument, type Command } from 'commander';
import { addCommand } from '../command.ts';
import { completionScript, type Shell, shells } from '../completion-script.ts';
import type { OpsWorld } from '../world.ts';

/** `completion`: tab completion. */
export function addCompletionCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'completion',
    description: 'Prints a script that completes commands and options with the tab key.',
    examples: [
      'source <(npx simhook completion bash)',
      'npx simhook completion zsh > ~/.zfunc/_simhook',
      'npx simhook completion fish > ~/.config/fish/completions/simhook.fish',
    ],
    more: "It completes the word simhook: with npx, make it one first: alias simhook='npx simhook'.",
  })
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices([...shells]))
    .action(async (shell: Shell) => {
      await world.terminal.write(completionScript(program, shell));
    });
}
