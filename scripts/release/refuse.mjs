// Refuses `npm publish` in the tree: its main package names no package per platform, and would find no addon.

console.error(
	'The tree is not published as it is. Use `npm run release:publish`: see RELEASING.md.',
)
process.exit(1)
