from stentor.cli import main

main()
