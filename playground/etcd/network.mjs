// A network namespace for each watcher, with an address of its own, as if it ran on a machine of its own. That takes
// root and the program `ip`; without them all watchers share this machine's network.

import { spawnSync } from 'node:child_process'

const ip = (...args) => {
	const { status, error, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
	if (status !== 0) throw new Error(error?.message ?? stderr.trim())
}

/** Of the block for private networks between namespaces of one machine that is least in use. */
const addressOf = (subnet, host) => `10.213.${subnet}.${host}`

/** Opens the network; `remove` takes it away. `within` are the words before a command that runs in a namespace. */
export const openNetwork = (say) => {
	const shared = (why) => {
		say('network', `all watchers share one network namespace: ${why}`)
		return { address: '127.0.0.1', host: () => '127.0.0.1', within: () => [], remove: () => {} }
	}
	if (process.platform !== 'linux') return shared('only Linux has them')
	if (process.getuid() !== 0) return shared('only root may make others')
	const subnet = process.pid % 256
	const name = `argpg${process.pid}`
	const [namespaces, links] = [[], []]
	const remove = () => {
		// A namespace, with its end of a link, may outlive its name until its last connection is closed.
		for (const link of links) spawnSync('ip', ['link', 'del', link])
		for (const namespace of namespaces) spawnSync('ip', ['netns', 'del', namespace])
		spawnSync('ip', ['link', 'del', name])
	}
	const add = (number) => {
		const [namespace, outer, inner] = [
			`${name}n${number}`,
			`${name}v${number}`,
			`${name}w${number}`,
		]
		ip('netns', 'add', namespace)
		namespaces.push(namespace)
		ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', namespace)
		links.push(outer)
		ip('link', 'set', outer, 'master', name, 'up')
		ip('-n', namespace, 'addr', 'add', `${addressOf(subnet, number + 1)}/24`, 'dev', inner)
		ip('-n', namespace, 'link', 'set', inner, 'up')
		ip('-n', namespace, 'link', 'set', 'lo', 'up')
		return namespace
	}
	try {
		// A bridge without an address of its own takes that of a port, another one with each new port, and the
		// watchers would find it only when they ask anew.
		ip('link', 'add', name, 'address', '02:61:72:67:75:73', 'type', 'bridge')
		ip('addr', 'add', `${addressOf(subnet, 1)}/24`, 'dev', name)
		ip('link', 'set', name, 'up')
		// Tried before any watcher needs it.
		add(1)
	} catch (error) {
		remove()
		return shared(error.message)
	}
	say('network', 'each watcher has a network namespace of its own')
	return {
		address: addressOf(subnet, 1),
		host: (number) => addressOf(subnet, number + 1),
		within: (number) => {
			const namespace = number === 1 ? namespaces[0] : add(number)
			return ['ip', 'netns', 'exec', namespace]
		},
		remove,
	}
}
