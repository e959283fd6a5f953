# Completion of jepa for fish. Written by: jepa completion
function __jepa_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    command -q $program; or set program jepa
    set -l before ""
    set -l path_before ""
    set -l ending ""
    set -l files no
    for record in ($program __complete $words[2..-1] "$word" 2>/dev/null)
        set -l parts (string split \t -- $record)
        switch $parts[1]
            case \x1fprefix
                set before $parts[2]
                set path_before $before
            case \x1ffiles
                set files yes
                test (count $parts) -gt 1; and set path_before $parts[2]; and set ending $parts[3]
            case '' \x1f\*
            case '*'
                echo -- $before$record
        end
    end
    if test $files = yes
        for path in (complete -C "'' "(string replace -- "$path_before" "" "$word"))
            set -l name (string split \t -- $path)[1]
            switch $name
                case '*/' "*$ending"
                    echo -- $path_before$path
            end
        end
    end
end
complete -c jepa -f -a '(__jepa_complete)'
