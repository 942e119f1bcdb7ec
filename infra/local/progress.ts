/** Waits for `work`; when that takes longer than a second, says each second what is being waited for. */
export async function withProgress<T>(
  label: string,
  work: Promise<T>,
  write: (text: string) => void,
): Promise<T> {
  let waited = 0;
  const timer = setInterval(() => {
    waited += 1;
    write(`${label} … ${waited} s\n`);
  }, 1_000);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
