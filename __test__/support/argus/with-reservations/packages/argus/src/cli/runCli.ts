// Stands for the program `argus list`.

import { loadActiveRegistry } from '../registry.js'

const program = {
	parseAsync: async (_: string[]): Promise<void> =>
		console.log(Object.keys((await loadActiveRegistry()).watchers).join()),
}

program.parseAsync(process.argv).catch((error) => {
	console.error(error)
	process.exit(1)
})
