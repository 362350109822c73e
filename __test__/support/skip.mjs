/**
 * Why a test can't run here, if the condition holds. Prints the reason, too: not every runtime
 * prints the reason of a skipped test.
 */
export const skipIf = (condition, reason) => {
	if (condition) console.log(`skipped here: ${reason}`)
	return condition ? reason : false
}
