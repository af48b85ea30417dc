import BerthDaemon

await Daemon.main()
