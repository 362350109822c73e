/** The package that keeps the registry. Types only: they load nothing. */
type Store = typeof import('argus-registry')

/**
 * The whole package is loaded together with this module, so that no later call depends on its files. Where its addon is missing,
 * argus still starts, and the first use of the registry rejects with the loader's error. A static import would end argus instead.
 */
const loading: Promise<Store> = import('argus-registry')

// The first use reports the failure. Without this line, a process that uses no registry would end by an unhandled rejection.
loading.catch(() => undefined)

/** The package `argus-registry`. Rejects with its loader's error where there is no addon for this machine. */
export const registryStore = (): Promise<Store> => loading

/** Whether an error is one of `argus-registry`, which has a stable `code`. By name: a bundle may have its own copy of the class. */
export const isRegistryError = (error: unknown): error is Error & { code: string } =>
	error instanceof Error && error.name === 'RegistryError' && 'code' in error

/** An error in one line: the code, if it has one, and the message. */
export const errorLine = (error: unknown): string => {
	const { code, message = String(error) } = Object(error) as { code?: unknown; message?: string }
	const line = message.replace(/\s*\n\s*/g, '; ')
	return typeof code === 'string' ? `${code}: ${line}` : line
}
