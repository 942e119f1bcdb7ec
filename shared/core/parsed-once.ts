/** How zod parses what is read once: it compiles a schema at its first use, which a single use does not pay back. */
export const parsedOnce = { jitless: true } as const;
