#compdef jepa
# Completion of jepa for zsh. Written by: jepa completion
_jepa() {
  local program=${(Q)words[1]} before="" path_before="" ending="" record value tab=$'\t' unit=$'\x1f'
  local -i files=0
  local -a values shown open_values open_shown
  (( $+commands[$program] )) || [[ -x $program ]] || program=jepa
  while IFS= read -r record; do
    case $record in
      "${unit}begin") values=() shown=() open_values=() open_shown=() ;;
      "${unit}prefix$tab"*) before=${record#*$tab} path_before=$before ;;
      "${unit}files"*)
        files=1
        [[ $record == *$tab* ]] && { record=${record#*$tab}; path_before=${record%$tab*} ending=${record##*$tab}; } ;;
      "$unit"*|"") ;;
      *)
        value=$before${record%%$tab*}
        [[ $record == *$tab* && -n ${record#*$tab} ]] && record="$value  -- ${record#*$tab}" || record=$value
        record=${record[1,COLUMNS-2]}
        # After these more of the word follows.
        if [[ $value == *[=./] ]]; then
          open_values+=("$value") open_shown+=("$record")
        else
          values+=("$value") shown+=("$record")
        fi ;;
    esac
  done < <("$program" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)

  local -i found=1
  (( $#values )) && compadd -l -d shown -a values && found=0
  (( $#open_values )) && compadd -l -S '' -d open_shown -a open_values && found=0
  if (( files )); then
    if [[ -n $path_before && $PREFIX == ${path_before}* ]]; then
      IPREFIX+=$path_before PREFIX=${PREFIX#$path_before}
    fi
    case $ending in
      "") _files && found=0 ;;
      /) _files -/ && found=0 ;;
      *) _files -g "*$ending" && found=0 ;;
    esac
  fi
  return found
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
compdef _jepa jepa
