/**
 * Plays the Lambda runtime for one bundle: imports it, says how long that took, then runs its handler for each
 * message of the parent. What the bundle prints goes to standard output, as in Lambda.
 */
const [bundle = ''] = process.argv.slice(2);
const before = performance.now();
const loaded: { handler(event: unknown, context: unknown): Promise<unknown> } = await import(bundle);
process.send?.({ initMs: performance.now() - before });

process.on(
  'message',
  (message: { readonly id: number; readonly event: unknown; readonly leftMs: number }) => {
    const context = { getRemainingTimeInMillis: () => message.leftMs };
    loaded.handler(message.event, context).then(
      (result) => process.send?.({ id: message.id, result: result ?? null }),
      (error: unknown) => process.send?.({ id: message.id, error: String(error) }),
    );
  },
);
