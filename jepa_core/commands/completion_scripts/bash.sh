# Completion of jepa for bash. Written by: jepa completion
_jepa() {
  local program=$1 part=$2 line=${COMP_LINE:0:COMP_POINT} before="" path="" ending="" files="" record value
  local tab=$'\t' unit=$'\x1f'
  local -a values=()
  type -P "$program" >/dev/null || program=jepa
  while IFS= read -r record; do
    case $record in
      "${unit}begin") values=() ;;
      "${unit}prefix$tab"*) before=${record#*"$tab"} path=$before ;;
      "${unit}files"*)
        files=yes
        [[ $record == *"$tab"* ]] && { record=${record#*"$tab"} path=${record%"$tab"*} ending=${record##*"$tab"}; } ;;
      "$unit"* | "") ;;
      *) values+=("$before${record%%"$tab"*}") ;;
    esac
  done < <("$program" __complete --line "$line" 2>/dev/null)

  # bash takes what follows = and : for a word of its own, and puts an answer in place of that alone.
  local masked=${line//\\ /__}
  masked=${masked##*[[:space:]]}
  local word=${line:${#line}-${#masked}} inserted
  local cut=${word%"$part"}
  cut=${cut//\\/} word=${word//\\/} word=${word#[\"\']}
  COMPREPLY=()
  for value in ${values[@]+"${values[@]}"}; do
    if [[ $value == "$word"* ]]; then
      [[ $value == *[=./] ]] && compopt -o nospace 2>/dev/null
      printf -v inserted %q "${value#"$cut"}"
      COMPREPLY+=("$inserted")
    fi
  done
  if [[ $files ]]; then
    local typed=${word#"$path"}
    # Directories get their slash from readline, which looks whether there are any of these names.
    compopt -o filenames 2>/dev/null
    while IFS= read -r value; do
      COMPREPLY+=("$value")
    done < <(
      case $ending in
        "") compgen -f -- "$typed" ;;
        /) compgen -d -- "$typed" ;;
        *) compgen -d -- "$typed"; compgen -f -X "!*$ending" -- "$typed" ;;
      esac
    )
  fi
}
complete -F _jepa jepa
