#compdef kubefence
# Completion of kubefence for zsh.
_kubefence() {
	local line files= dirs=
	local -a candidates
	while IFS=$'\n' read -r line; do
		case $line in
		:files) files=1 ;;
		:dirs) dirs=1 ;;
		*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
		esac
	done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
	((${#candidates})) && _describe kubefence candidates
	[[ -n $files ]] && _files
	[[ -n $dirs ]] && _files -/
}
compdef _kubefence kubefence
