// Tables of commands, as Markdown: what a command prints can be put into a page.

/** A table as Markdown, with its columns padded. */
export const markdownTable = (head, rows) => {
	const cells = [head, ...rows].map((row) => row.map(String))
	const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)))
	const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
	const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
	return [line(cells[0]), rule, ...cells.slice(1).map(line)].join('\n')
}

export const printTable = (head, rows) => console.log(markdownTable(head, rows))
