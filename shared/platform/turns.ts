/** Runs pieces of work one after the other, each when the one before it has ended, however that ended. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>;

/** Turns of one process, in the order in which they are asked for. */
export function takeTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}
