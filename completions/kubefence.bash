# SPDX-License-Identifier: Apache-2.0
# Completion of kubefence for bash: commands and options are those that --help lists.
_kubefence() {
	local cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]:0:COMP_CWORD}") help w
	local -a command=("${words[0]}")

	# Commands of commands, as far as they exist: "kubefence node agent".
	for w in "${words[@]:1}"; do
		[[ $w == -* || ${#command[@]} -ge 3 ]] && break
		command+=("$w")
	done
	help=$("${command[@]}" --help 2>/dev/null) || help=$("${command[@]:0:2}" --help 2>/dev/null)
	if [[ $cur == -* ]]; then
		w=$(grep -oE -- '--[a-z][a-z-]+' <<<"$help" | sort -u)
	elif ((${#command[@]} < 3)); then
		# Two blanks, a word, two blanks: a table of commands; or "Usage: PROGRAM COMMAND a".
		w=$(sed -nE "s/^  ([a-z][a-z-]*)  .*/\1/p; s/^(Usage:|      ) ${command[*]} ([a-z]+)( .*)?$/\2/p" <<<"$help")
	else
		w=
	fi
	mapfile -t COMPREPLY < <(compgen -W "$w" -- "$cur")
}
complete -o default -F _kubefence kubefence
