// Files that stand for libraries of systems that this machine doesn't have. A linker needs only to know which
// library has which symbol; the libraries themselves are found when the finished file is loaded.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toolsFolder } from './paths.mjs'

/**
 * The functions and constants that notify and sysinfo use, by the framework of macOS that exports them. Without one of
 * them a program fails to link, and an addon links but fails `release:verify`; both name what is missing. Apple's
 * documentation of a function says which framework it is in. A framework without any is only asked for.
 */
const frameworks = {
	CoreFoundation: [
		'CFArrayAppendValue',
		'CFArrayCreateMutable',
		'CFArrayGetCount',
		'CFArrayGetValueAtIndex',
		'CFArrayInsertValueAtIndex',
		'CFArrayRemoveValueAtIndex',
		'CFRelease',
		'CFRunLoopGetCurrent',
		'CFRunLoopIsWaiting',
		'CFRunLoopRun',
		'CFRunLoopStop',
		'CFStringCompare',
		'CFURLCopyAbsoluteURL',
		'CFURLCopyFileSystemPath',
		'CFURLCopyLastPathComponent',
		'CFURLCreateCopyAppendingPathComponent',
		'CFURLCreateCopyDeletingLastPathComponent',
		'CFURLCreateFilePathURL',
		'CFURLCreateFileReferenceURL',
		'CFURLCreateFromFileSystemRepresentation',
		'CFURLResourceIsReachable',
		'kCFRunLoopDefaultMode',
		'kCFTypeArrayCallBacks',
	],
	CoreServices: [
		'FSEventStreamCreate',
		'FSEventStreamGetDeviceBeingWatched',
		'FSEventStreamInvalidate',
		'FSEventStreamRelease',
		'FSEventStreamScheduleWithRunLoop',
		'FSEventStreamStart',
		'FSEventStreamStop',
		'FSEventsGetCurrentEventId',
		'FSEventsPurgeEventsForDeviceUpToEventId',
	],
	IOKit: [],
}

/** A text-based stub, in the format of Apple's tapi, version 4. */
const stub = (installName, symbols) => `--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '${installName}'
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ ${symbols.map((symbol) => `_${symbol}`).join(', ')} ]
...
`

/** Writes the stubs of macOS' frameworks; returns the folder to search frameworks in. */
export const writeFrameworks = () => {
	const folder = join(toolsFolder, 'frameworks')
	for (const [framework, symbols] of Object.entries(frameworks)) {
		const path = join(folder, `${framework}.framework`)
		mkdirSync(path, { recursive: true })
		const installName = `/System/Library/Frameworks/${framework}.framework/Versions/A/${framework}`
		writeFileSync(join(path, `${framework}.tbd`), stub(installName, symbols))
	}
	return folder
}

/**
 * Writes the stubs of libraries that macOS lacks; returns the folder to search libraries in. On Linux exacl's build
 * script asks for `libacl`, whatever the target is. macOS has the functions in its system library, so the linker drops
 * the stub.
 */
export const writeLibraries = () => {
	const folder = join(toolsFolder, 'libraries')
	mkdirSync(folder, { recursive: true })
	writeFileSync(join(folder, 'libacl.tbd'), stub('/usr/lib/libacl.dylib', []))
	return folder
}

/**
 * Writes the libraries that napi's build script asks for on Windows; returns their folder. They are empty: the
 * addon looks Node-API up in the process that loads it.
 */
export const writeNodeLibraries = () => {
	const folder = join(toolsFolder, 'libnode')
	mkdirSync(folder, { recursive: true })
	// The build script asks whether the first is there; the linker reads the second, an archive without members.
	writeFileSync(join(folder, 'libnode.dll'), '')
	writeFileSync(join(folder, 'libnode.a'), '!<arch>\n')
	return folder
}
