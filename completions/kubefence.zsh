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
# Read from fpath, this is the function's first call; read by source, it only is defined.
if [[ $funcstack[1] == _kubefence ]]; then
	_kubefence "$@"
else
	compdef _kubefence kubefence
fi
