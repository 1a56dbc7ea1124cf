export async function runCommand(_args: readonly string[]): Promise<void> {}
