# Completion of kubefence for fish.
function __kubefence_complete
	set -l words (commandline -opc) (commandline -ct)
	for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
		switch $line
			case :files
				__fish_complete_path (commandline -ct)
			case :dirs
				__fish_complete_directories (commandline -ct)
			case '*'
				echo $line
		end
	end
end
complete -c kubefence -f -a '(__kubefence_complete)'
